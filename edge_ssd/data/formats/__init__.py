"""Label formats: one module each, listed in :mod:`edge_ssd.data.formats.registry`.

To add a format:

1. Write a module here with ``TITLE``, ``FILES``, ``sniff(folder)`` and ``parse(folder)``, as
   :class:`edge_ssd.data.formats.label_format.LabelFormat` describes them; ``d2l_csv`` is the shortest example.
2. Add it to :data:`edge_ssd.data.formats.registry.LABEL_FORMATS`: commands then detect it and ``--format`` lists it.
3. Add a writer to ``tests/label_writers.py``, which runs ``tests/test_data_formats.py`` on it, and a row to
   ``docs/data.md``.
"""
