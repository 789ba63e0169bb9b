"""How is a model asked over HTTP, by programs and by people?

`app` knows the routes, `uploads` receives files, `prediction_workers` runs the model in processes
that can be killed, `page` is the page for people and `run` binds the port.
"""
