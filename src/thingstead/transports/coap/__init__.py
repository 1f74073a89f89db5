"""The device API over CoAP: RFC 7252, observing (7641), blocks (7959) and Echo (9175).

`server.py` opens the socket, `endpoint.py` is the message layer (aiocoap's, with bounds),
`site.py` takes a request through all that stands before its handler, `device.py` and
`observers.py` are the handlers. Start there; the other modules know no socket.
"""
