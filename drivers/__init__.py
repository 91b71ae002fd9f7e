"""One driver for each kind of device: it alone knows the wire, and reports what it says. Found by entry points."""
