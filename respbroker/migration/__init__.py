"""Moving streams from one server to another, while they are in use: ``respbroker migrate``."""
