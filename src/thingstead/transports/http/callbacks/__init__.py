"""Messages that networks and other servers bring: plain HTTP, Sigfox, LoRaWAN."""
