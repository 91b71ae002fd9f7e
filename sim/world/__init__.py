"""The closed-loop world of a simulated lane: vehicles, sensors, signal and gate, all randomness and all truth.

`world.World` is the way in; `scene` says where things stand, `scenario` what happens, `truth` what really happened.
"""
