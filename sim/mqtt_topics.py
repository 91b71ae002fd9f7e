"""Topic names and topic filters, from MQTT 5.0 section 4.7. Pure; never raises."""

from __future__ import annotations


def valid_name(topic: str) -> bool:
    """A topic that may be published to: not empty, no wildcard, no NUL."""
    return bool(topic) and not any(char in topic for char in "+#\0")


def valid_filter(pattern: str) -> bool:
    """A filter whose wildcards stand alone in their level, `#` in the last."""
    if not pattern or "\0" in pattern:
        return False
    levels = pattern.split("/")
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        return False
    return all("+" not in level or level == "+" for level in levels)


def matches(pattern: str, topic: str) -> bool:
    """Whether the filter takes the topic. A leading wildcard never takes a topic that starts with `$`."""
    if pattern == topic:
        return True
    if topic.startswith("$") and pattern[0] in "+#":
        return False
    wanted, levels = pattern.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(levels) or level not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)
