"""How fast, how large, how late: side by side with Redis and Valkey, and by counts that no clock disturbs."""
