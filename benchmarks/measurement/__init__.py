"""How wrong a measurement of vessels is: on exact eyes, between two people, by a network."""
