"""Label formats: one module each, listed in :mod:`edge_ssd.data.formats.registry`.

To add a format:

1. Write a module here with ``TITLE``, ``FILES``, ``sniff(folder)`` and ``parse(folder)``, as
   :class:`edge_ssd.data.formats.label_format.LabelFormat` describes them; ``d2l_csv`` is the shortest example.
2. Add it to :data:`edge_ssd.data.formats.registry.LABEL_FORMATS`: commands then detect it and ``--format`` lists it.
3. Add a writer to ``tests/label_writers.py``, with which ``tests/test_data_formats.py`` checks the format, and a row to
   the table of ``docs/data.md``.
"""
