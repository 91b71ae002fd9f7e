"""What drivers share whose device connects to us and pushes: HTTP reception, multipart, a JSON stream, the spool.

Used by the `lpr.*` drivers. Knows no maker's fields.
"""
