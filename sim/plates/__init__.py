"""Rendered licence plates: pictures with a known truth, for the camera fakes and for measuring plate recognition.

Needs numpy and OpenCV (the extra `plates`), which are imported only by the modules that draw: without them the
simulator works and its cameras send empty pictures. Nothing in here reads a clock or draws a random number of its own.
"""
