"""Events over MQTT.

===================  =================================================================================
``event_publisher``  the publisher: events, state topics and Home Assistant discovery
``spool``            events on disk until the broker has acknowledged them
``outgoing_queue``   the latest values of retained topics, and the wake-up of the client's thread
``client``           the thread that connects, and reconnects when the connection is lost
``connection``       one connection, from CONNECT to DISCONNECT
``address``          the broker's URL, password and TLS settings
``home_assistant``   discovery messages
===================  =================================================================================
"""
