"""Events: which objects entered and left the view of a camera, and where that is published.

=====================  ===============================================================================
``tracker``            matches the detections of successive frames: which object is which
``emitter``            turns what the tracker finds into events and hands each one to every publisher
``event``              one event and its JSON; ``publisher``: the interface of the publishers
``jsonl``              publishes to a file of JSON Lines (``rotating_file``), a pipe or standard output
``gpio``               publishes to GPIO pins
``mqtt``               publishes to an MQTT broker; its spool keeps events while the broker is away
``snapshot_store``     saves the annotated frame of each event
``background_writer``  the thread in which the slow writing happens
``options``            the command-line options, and the emitter that they describe
=====================  ===============================================================================
"""
