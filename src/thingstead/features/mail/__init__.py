"""Mail: letters that wait in an outbox until they are delivered."""
