"""The words every layer speaks: failures, records and their facts, digests, ids, time, settings.

Nothing here performs I/O (settings read the environment when asked) and nothing here imports another layer.
"""
