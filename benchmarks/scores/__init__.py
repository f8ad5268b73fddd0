"""Networks trained on real photographs or on toys, and scored by the course's protocol."""
