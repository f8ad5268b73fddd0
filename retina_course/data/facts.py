"""What is known of the photographs that the shipped networks have seen: people, camera, terms.

The one place of these facts; the model cards in the book read them from here.
"""

from dataclasses import dataclass

from retina_course.data import idrid
from retina_course.data.datasets import HRF, ChaseDB1


@dataclass(frozen=True)
class DatasetFacts:
    """Who was photographed, how, and what a user may do with it.

    Parameters
    ----------
    people : str
        Whose eyes.
    ages : str
        Their ages, or that the set does not give them.
    camera : str
        Maker and model.
    field_angle : float
        Width of the whole field of view in degrees.
    view : str
        What lies in the middle of the field.
    annotation : str
        What was marked, and by whom.
    terms : str
        Licence.
    sources : tuple of str
        Keys of the bibliography, `book/references.bib`.
    """

    people: str
    ages: str
    camera: str
    field_angle: float
    view: str
    annotation: str
    terms: str
    sources: tuple[str, ...]


FACTS = {
    "CHASE_DB1": DatasetFacts(
        people="14 children of several ethnic groups from primary schools in England, both eyes of "
        "each; a survey of the population, not patients",
        ages="about 10 years; the set gives the age of none",
        camera="Nidek NM-200-D, hand-held",
        field_angle=ChaseDB1.field_angle,
        view="the optic disc",
        annotation="vessels, by two observers; the first is the ground truth",
        terms="CC BY 4.0",
        sources=("fraz2012ensemble", "owen2009caiar"),
    ),
    "HRF": DatasetFacts(
        people="15 photographs each of healthy eyes, of eyes with diabetic retinopathy and of eyes "
        "with glaucoma; the set names no persons",
        ages="the set does not give them",
        camera="Canon CF-60UVi",
        field_angle=HRF.field_angle,
        view="near the macula, the field cut off above and below",
        annotation="vessels, by a group of experts, once",
        terms="CC BY 4.0 by the statement of third parties; confirm it with the owner before you "
        "hand the photographs on",
        sources=("budai2013hrf",),
    ),
    "IDRiD_boxes": DatasetFacts(
        people="patients of one eye clinic in Nanded, India, with and without signs of diabetic "
        "retinopathy; the set names no persons, so two photographs of one person may lie on both "
        "sides of the split",
        ages="the set does not give them",
        camera="Kowa VX-10 alpha",
        field_angle=idrid.FIELD_ANGLE,
        view="near the macula, the field cut off above and below",
        annotation="boxes around optic disc, hard exudates and haemorrhages; a box often holds a "
        "cluster of lesions",
        terms="photographs CC BY 4.0, boxes CC BY-SA 4.0",
        sources=("porwal2018idrid", "csefalvay2019codras"),
    ),
}


def facts_of(training_data: str) -> dict[str, DatasetFacts]:
    """The facts of the datasets that a card's `training_data` names.

    Parameters
    ----------
    training_data : str
        Such as "CHASE_DB1, first 8 images; HRF, first 15 images".

    Returns
    -------
    dict of DatasetFacts
        By the dataset's name, in the order of `FACTS`.

    Raises
    ------
    ValueError
        If none of them is named.

    Examples
    --------
    >>> facts = facts_of("CHASE_DB1, first 8 images (4 children, one camera)")
    >>> facts["CHASE_DB1"].camera
    'Nidek NM-200-D, hand-held'
    """
    found = {name: facts for name, facts in FACTS.items() if name in training_data}
    if not found:
        raise ValueError(
            f"The training data {training_data!r} name none of {', '.join(FACTS)}. Add the dataset "
            "to FACTS in retina_course/data/facts.py."
        )
    return found
