"""The lane's side of the port: MQTT, what is published, which orders are taken, and what waits to be delivered."""
