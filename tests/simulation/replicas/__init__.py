"""Three servers that replicate, their clients and an operator, under every fault that a seed can draw."""
