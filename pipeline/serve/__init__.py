"""The server: an API and a page over a trained model.

`app` knows the routes, `uploads` receives files, `prediction_workers` runs the model in processes
that can be killed, `page` is the page for people and `run` binds the port.
"""
