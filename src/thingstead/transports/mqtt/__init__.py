"""MQTT 3.1, 3.1.1 and 5.0: our own server for devices and apps.

`codec/` turns bytes into packets and back, `topics.py` says what a topic addresses. Both
know no socket, no thing and no session.
"""
