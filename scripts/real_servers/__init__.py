"""Real servers on loopback for tests and trials: fetched by package name, checked, started as an ordinary user.

`places` knows the folders and who runs what, `maven` fetches, `elastic` is one Elasticsearch node in a folder of its
own, `shared` is the one server that suites share. Only the standard library is used: a bare clone can run it.
"""
