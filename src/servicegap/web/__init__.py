"""The pages on which people label, adjudicate and follow a study: Starlette, Jinja2, plain JavaScript.

app.py puts them together. Everything works without JavaScript; what a page may do is in access.py, what a
request may be in guards.py. Not here: what labels mean and how they are kept (servicegap.labelling).
"""
