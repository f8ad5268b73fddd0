"""The two folds of the training halves: whom a network that chooses a threshold has not seen."""

CHILDREN = {"a": ("01", "02"), "b": ("03", "04")}  # of CHASE_DB1, whom each fold holds out
FOLDS = tuple(CHILDREN)


def fold_of(dataset: str, photograph: str) -> str:
    """The fold that holds a photograph out: by child, and in HRF by the number in its name."""
    if dataset == "chase":
        return "a" if photograph[6:8] in CHILDREN["a"] else "b"
    return "a" if int(photograph[:2]) % 2 else "b"
