"""How is a model asked over HTTP, by programs and by people?

`routes` are the API and `page` the page for people, which uses nothing else. `connections` and
`gate` say who may ask, `uploads` receives files, `prediction_workers` runs the model in processes
that can be killed, `run` binds the port.
"""
