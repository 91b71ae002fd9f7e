"""Pictures: kept on disk under the hash of what they show, within a quota, and told to the port when they are there.

`store` is what the daemon uses, `files` is the blocking half.
"""
