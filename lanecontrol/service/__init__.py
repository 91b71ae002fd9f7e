"""What a daemon owes its surroundings: readiness, watchdog, a health verdict, logs without personal data, the boot."""
