"""A health region that does not exist: patients, visits, pictures, films, sounds, letters and DICOM studies.

`region.generate(seed)` tells everything as items in the order they can be written; `workshop.produced(items)` adds the
bytes, made by other processes. What is written follows from the seed alone. Nothing here stores or serves: whoever
loads the demo sends it through the interactions a client uses.

`identities`, `places`, `terms` and the `words` are the material; `chart`, `courses`, `stories` and `imaging` write the
records; `works` describes bytes and `photographs`, `films`, `sounds`, `documents`, `dicom_files` make them. Everybody
and every finding is synthetic. The DICOM files are pydicom's own test files, unchanged: the records name a patient of
the demo, the headers inside keep whatever test patient they came with.
"""
