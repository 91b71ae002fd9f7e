"""The simulator: a world, fakes that speak the devices' wire, and a broker. Reads no driver."""
