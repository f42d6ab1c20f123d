"""Events over MQTT: spool on disk, client thread, connection, state topics and Home Assistant discovery."""
