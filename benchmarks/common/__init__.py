"""What several programs share. Nothing here imports a program."""
