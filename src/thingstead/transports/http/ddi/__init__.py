"""hawkBit's API for devices (Direct Device Integration): its agents update from here."""
