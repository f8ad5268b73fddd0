"""Where the shipped vessel networks fail: in lesions (IDRiD), at the disc's edge (CHASE_DB1).

    python -m benchmarks.analysis.lesions_and_disc

Lesions. IDRiD_boxes has no ground truth of vessels, but boxes of hard exudates and haemorrhages.
The fraction of a photograph's lesion boxes that a network calls vessel is compared with the
fraction in the same boxes mirrored at the horizontal through the middle of the field of view: the
vessels above and below it are about alike. Pixels whose mirror image lies in a lesion's box or in
the disc's are left out, with that image. Without flips, at the card's threshold, which was chosen
with flips. These are the networks of CHASE_DB1 alone, and those for any camera.

Disc. CHASE_DB1 does not mark it: the shipped RetinaNet, trained on IDRiD, finds it, and its box
gives an ellipse. Photographs where its score is below SURE are left out. Errors are counted within
RING pixels of the ellipse, inside it and elsewhere, for the networks of CHASE_DB1 alone.

Writes retina_course/results/lesions_and_disc.json and three figures. It needs both sets (folder
RETINA_COURSE_DATA).
"""

import time

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from scipy import ndimage

from benchmarks.common import datasets
from benchmarks.common.figures import CREDITS, IDRID_CREDITS, save
from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.networks import SHIPPED
from benchmarks.common.provenance import provenance
from retina_course import weights
from retina_course.data.datasets import ChaseDB1, Photograph
from retina_course.data.detection import LESION_CLASSES
from retina_course.data.idrid import BoxedPhotograph, IDRiDBoxes
from retina_course.evaluation import estimate
from retina_course.figures import plotting
from retina_course.inference import detect, ellipses, segment

PROGRAM = Program(
    __file__,
    question="How often do the shipped networks take lesions or the disc's edge for vessels?",
    results=("lesions_and_disc.json",),
    also=(
        "retina_course/results/disc_edge.jpg",
        "retina_course/results/lesions_called_vessel*.jpg",
    ),
    commands=("python -m benchmarks.analysis.lesions_and_disc",),
    hours=0.4,
    data=("CHASE_DB1", "IDRiD_boxes"),
    inputs=("retina_course/weights/*.safetensors", "retina_course/weights/*.json"),
)
FIGURES = {  # and their networks
    "lesions_called_vessel.jpg": SHIPPED,
    "lesions_called_vessel_any_camera.jpg": (
        "unet_small_any_camera",
        "w_net_any_camera",
        "retina_segmentor_any_camera",
    ),
}
LESIONS = {"hard exudates": 2, "haemorrhages": 3}
DISC = 1
SURE = 0.5
RING = 10  # pixels on either side of the disc's edge


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    began = time.perf_counter()
    boxed, test = list(IDRiDBoxes(split="test")), list(ChaseDB1(split="test"))
    discs = find_discs(test)
    test = [photo for photo in test if photo.name in discs]
    lesions, shown, edge, digests = {}, {}, {}, {}
    for figure, names in FIGURES.items():
        maps = {}
        for name in names:
            model, card = weights.load(name)
            digests[name] = card["sha256"]
            maps[name] = [vessels(model, card, photo, flips=False) for photo in boxed]
            lesions[name] = in_lesions(boxed, maps[name])
            for lesion, difference in without_lesions(boxed, maps[name]).items():
                lesions[name][lesion]["without_lesions"] = difference
            if name in SHIPPED:
                found = [vessels(model, card, photo, photo.fov)[0] for photo in test]
                edge[name] = at_disc(found, test, discs)
            if name == SHIPPED[0]:
                draw_discs(test, discs, found)
        shown[figure] = draw_lesions(boxed, maps, figure)
    edge["second observer"] = at_disc([photo.second_observer for photo in test], test, discs)
    content = {
        "lesions": lesions,
        "disc": edge,
        "discs": discs,
        "ring": RING,
        "shown": shown,
        "weights_sha256": digests,
        "datasets": {name: datasets.digest(name) for name in ("IDRiD_boxes", "CHASE_DB1")},
        "program": PROGRAM.file,
        "provenance": provenance(torch.device("cpu"), PROGRAM, since=began),
    }
    write_json(RESULTS / "lesions_and_disc.json", content)


def vessels(
    model: torch.nn.Module,
    card: dict,
    photo: Photograph | BoxedPhotograph,
    fov: np.ndarray | None = None,
    *,
    flips: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Vessel map and field of view, bool `(H, W)`."""
    probability, fov, _ = segment(
        model, photo.image, card, fov=fov, flips=flips, field_angle=photo.field_angle
    )
    return ((probability >= card["threshold"]) & fov).numpy(), fov.numpy()


def in_lesions(photographs: list[BoxedPhotograph], maps: list[tuple]) -> dict:
    """For each class: the fraction called vessel in the boxes and in the mirrored ones, paired."""
    found = {}
    for name, label in LESIONS.items():
        fractions = []
        for photo, (called, fov) in zip(photographs, maps, strict=True):
            boxes, control = box_masks(photo, fov, label)
            if boxes.any() and control.any():
                fractions.append((called[boxes].mean(), called[control].mean()))
        inside, mirrored = np.array(fractions).T
        moved = estimate(inside, minus=mirrored)  # IDRiD names no patients
        found[name] = {
            "photographs": len(fractions),
            "in_boxes": float(inside.mean()),
            "mirrored": float(mirrored.mean()),
            "difference": moved.interval()._asdict(),
        }
    return found


def box_masks(photo: BoxedPhotograph, fov: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of the boxes of one class that can be compared, and their mirror images."""
    healthy = fov & ~filled(photo, {DISC, *LESIONS.values()})
    here = fov & filled(photo, {label}) & ~filled(photo, {DISC})
    boxes = here & mirrored(healthy, fov)
    return boxes, mirrored(boxes, fov)


def mirrored(mask: np.ndarray, fov: np.ndarray) -> np.ndarray:
    """The mask, mirrored at the horizontal through the middle of the field of view."""
    rows = np.nonzero(fov.any(axis=1))[0]
    source = rows[0] + rows[-1] - np.arange(len(fov))
    inside = (source >= 0) & (source < len(fov))
    turned = np.zeros_like(mask)
    turned[inside] = mask[source[inside]]
    return turned


def without_lesions(photographs: list[BoxedPhotograph], maps: list[tuple]) -> dict:
    """The same boxes laid over photographs without lesions: what the mirror alone makes of them."""
    others = [
        (photo, *found)
        for photo, found in zip(photographs, maps, strict=True)
        if not filled(photo, set(LESIONS.values())).any()
    ]
    differences = {}
    for name, label in LESIONS.items():
        moved = []
        for photo, (_, fov) in zip(photographs, maps, strict=True):
            boxes, _ = box_masks(photo, fov, label)
            for other, called, there in others:
                usable = there & ~filled(other, {DISC})
                inside = boxes & usable & mirrored(usable, there)
                if inside.any() and right(other) == right(photo):
                    moved.append(called[inside].mean() - called[mirrored(inside, there)].mean())
        differences[name] = float(np.mean(moved))
    return differences


def right(photo: BoxedPhotograph) -> bool:
    """Whether the disc lies in the right half of the photograph."""
    return bool(photo.boxes[photo.labels == DISC][0, ::2].mean() > photo.image.shape[1] / 2)


def filled(photo: BoxedPhotograph, labels: set[int]) -> np.ndarray:
    mask = np.zeros(photo.image.shape[:2], dtype=bool)
    for box, label in zip(photo.boxes.round().int().tolist(), photo.labels.tolist(), strict=True):
        if label in labels:
            mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def find_discs(photographs: list[Photograph]) -> dict[str, list[float]]:
    """The box of the optic disc by the photograph's name: x1, y1, x2, y2, in its pixels."""
    model, card = weights.load("retina_net")
    boxes = {}
    for photo in photographs:
        found = detect(model, photo.image, card, field_angle=photo.field_angle)
        sure = found["boxes"][(found["labels"] == DISC) & (found["scores"] >= SURE)]
        if len(sure):
            boxes[photo.name] = sure[0].tolist()
    return boxes


def at_disc(maps: list, photographs: list[Photograph], discs: dict) -> dict:
    """For each place: vessel pixels and the fraction missed; background pixels likewise."""
    counts = {
        place: np.zeros(4) for place in ("at the disc's edge", "inside the disc", "elsewhere")
    }
    for called, photo in zip(maps, photographs, strict=True):
        box = torch.tensor(discs[photo.name])[None]
        disc = ellipses(box, torch.ones(1), called.shape).numpy() > 0
        away = np.where(
            disc, ndimage.distance_transform_edt(disc), ndimage.distance_transform_edt(~disc)
        )
        edge = away <= RING
        places = edge, disc & ~edge, ~disc & ~edge
        for total, place in zip(counts.values(), places, strict=True):
            vessel, empty = (
                photo.ground_truth & place & photo.fov,
                ~photo.ground_truth & place & photo.fov,
            )
            total += vessel.sum(), (vessel & ~called).sum(), empty.sum(), (empty & called).sum()
    return {
        place: {
            "vessel_pixels": int(total[0]),
            "missed": total[1] / total[0],
            "background_pixels": int(total[2]),
            "called_vessel": total[3] / total[2],
        }
        for place, total in counts.items()
    }


def draw_discs(photographs: list[Photograph], discs: dict, maps: list) -> None:
    """Four test photographs, from the narrowest ellipse found to the widest, and the errors."""
    figure = Figure(figsize=(11, 11.2), dpi=90, facecolor="white", layout="constrained")
    pairs = list(zip(photographs, maps, strict=True))
    pairs.sort(key=lambda pair: discs[pair[0].name][2] - discs[pair[0].name][0])
    shown = [pairs[i] for i in np.linspace(0, len(pairs) - 1, 4).round().astype(int)]
    for line, (photo, called) in zip(figure.subplots(4, 2), shown, strict=True):
        box = np.array(discs[photo.name])
        errors = plotting.error_image(called & photo.fov, photo.ground_truth, photo.fov)
        for axes, image in zip(line, (photo.image, errors), strict=True):
            middle, sides = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
            axes.imshow(image)
            axes.add_patch(Ellipse(middle, *sides, fill=False, edgecolor="#56B4E9", linewidth=2))
            reach = 1.1 * sides.max()
            axes.set_xlim(middle[0] - reach, middle[0] + reach)
            axes.set_ylim(middle[1] + reach / 2, middle[1] - reach / 2)
            axes.set_axis_off()
        line[0].set_title(photo.name, fontsize=10)
    figure.suptitle(CREDITS, x=0.99, ha="right", fontsize=8)
    save(figure, RESULTS / "disc_edge.jpg")


def draw_lesions(
    photographs: list[BoxedPhotograph], maps: dict[str, list], file: str
) -> list[dict]:
    """For each network the photograph with most of its lesion boxes called vessel, by fraction."""
    figure = Figure(figsize=(11, 3.9 * len(maps)), dpi=90, facecolor="white", layout="constrained")
    shown = []
    for line, (name, found) in zip(figure.subplots(len(maps), 2), maps.items(), strict=True):
        fractions = []
        for photo, (called, fov) in zip(photographs, found, strict=True):
            inside = filled(photo, set(LESIONS.values())) & ~filled(photo, {DISC}) & fov
            fractions.append(called[inside].mean() if inside.any() else 0)
        worst = int(np.argmax(fractions))
        photo, (called, _) = photographs[worst], found[worst]
        images = photo.image, plotting.overlay_image(photo.image, called)
        for axes, image in zip(line, images, strict=True):
            axes.imshow(image)
            boxes = {"boxes": photo.boxes, "labels": photo.labels}
            plotting.draw_boxes(axes, boxes, None, threshold=0)
            axes.set_axis_off()
        line[0].set_title(f"{name}: IDRiD {photo.name}", fontsize=10)
        line[1].set_title(f"{fractions[worst]:.0%} of the boxes' pixels called vessel", fontsize=10)
        shown.append({"model": name, "name": photo.name, "fraction": float(fractions[worst])})
    plotting.box_legend(figure, LESION_CLASSES, with_ground_truth=False)
    figure.suptitle(IDRID_CREDITS, x=0.99, ha="right", fontsize=8)
    save(figure, RESULTS / file)
    return shown


if __name__ == "__main__":
    main()
