"""How one eye looks through different cameras: light, colours, focus, noise, file.

Each function takes a batch of images `(N, 3, H, W)` in [0, 1], changes each image by its own random
amounts, and moves nothing. `change` puts them in the order in which a photograph is taken:
the eye, the light, the lens, the sensor, the camera's software, the file. All random numbers come
from a `torch.Generator` on the CPU, so a batch is the same on every device.
"""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from retina_course.data.jpeg import jpeg


def change(images: Tensor, noise: Tensor, generator: Generator, strength: float = 1.0) -> Tensor:
    """Photograph the same eyes with other cameras.

    Parameters
    ----------
    images : Tensor
        `(N, 3, H, W)`, RGB in [0, 1].
    noise : Tensor
        What `noise_bank(size)` gave, on the device of the images, with `size` at least H and W.
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    strength : float, default 1.0
        Multiplies the largest amount of every change; 0 changes nothing but rounding.

    Returns
    -------
    Tensor
        `(N, 3, H, W)` in [0, 1].

    Examples
    --------
    >>> import torch
    >>> images = torch.rand(2, 3, 32, 32)
    >>> changed = change(images, noise_bank(32), torch.Generator().manual_seed(0))
    >>> changed.shape, bool(changed.min() >= 0), bool(changed.max() <= 1)
    (torch.Size([2, 3, 32, 32]), True, True)
    """
    images = lesions(images, generator, strength)
    images = light(images, generator, strength)
    images = field_edge(images, generator, strength)
    images = focus(images, generator, strength)
    images = sensor(images, noise, generator, strength)
    images = tones(images, generator, strength)
    return compression(images, generator, strength)


def light(images: Tensor, generator: Generator, strength: float = 1.0) -> Tensor:
    """Uneven light: a smooth random field multiplies each image, the same for all colours.

    Parameters
    ----------
    images : Tensor
        `(N, 3, H, W)` in [0, 1].
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    strength : float, default 1.0
        At 1 the logarithm of the field has a standard deviation of up to 0.35.

    Returns
    -------
    Tensor
        `(N, 3, H, W)` in [0, 1].
    """
    field = _smooth(images, 3, generator) * _draw(images, 0, 0.35 * strength, generator)
    return (images * field.exp()).clamp(0, 1)


def lesions(images: Tensor, generator: Generator, strength: float = 1.0) -> Tensor:
    """Dark and bright spots that are not vessels, in four images of ten.

    A smooth random field above a high threshold is a set of irregular spots; they are tinted
    as blood (dark) or as exudates (bright).

    Parameters
    ----------
    images : Tensor
        `(N, 3, H, W)` in [0, 1].
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    strength : float, default 1.0
        Multiplies the tint.

    Returns
    -------
    Tensor
        `(N, 3, H, W)` in [0, 1].
    """
    for tint in ((0.55, 0.35, 0.45), (1.3, 1.6, 1.2)):
        grid = 4 + int(28 * torch.rand((), generator=generator))
        spots = ((_smooth(images, grid, generator) - 1.9) * 6).sigmoid()
        on = _draw(images, 0, 1, generator) < 0.2
        amount = spots * on * _draw(images, 0.3, 1, generator) * strength
        gain = images.new_tensor(tint)[:, None, None]
        images = images * (1 + amount * (gain - 1))
    return images.clamp(0, 1)


def field_edge(images: Tensor, generator: Generator, strength: float = 1.0) -> Tensor:
    """Cut the field of view along a straight line, in one image of five.

    Parameters
    ----------
    images : Tensor
        `(N, 3, H, W)` in [0, 1].
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    strength : float, default 1.0
        Multiplies how often it happens.

    Returns
    -------
    Tensor
        `(N, 3, H, W)`: what lies behind the line is black.
    """
    height, width = images.shape[2:]
    device = images.device
    angle = _draw(images, 0, 2 * math.pi, generator)
    place = _draw(images, 0.2, 0.7, generator)
    cut = _draw(images, 0, 1, generator) < 0.2 * strength
    y = torch.linspace(-1, 1, height, device=device)[:, None]
    x = torch.linspace(-1, 1, width, device=device)
    behind = (x * angle.cos() + y * angle.sin()) > place
    return images * ~(behind & cut)


def focus(images: Tensor, generator: Generator, strength: float = 1.0) -> Tensor:
    """Blur, as by defocus or by a small image that was enlarged, in half of the images.

    Parameters
    ----------
    images : Tensor
        `(N, 3, H, W)` in [0, 1].
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    strength : float, default 1.0
        At 1 the Gaussian has a standard deviation of up to 1.6 pixels.

    Returns
    -------
    Tensor
        `(N, 3, H, W)` in [0, 1].
    """
    sigma = _draw(images, -1.6 * strength, 1.6 * strength, generator).clamp(min=0.05)
    return _blur(images, sigma)


def sensor(images: Tensor, noise: Tensor, generator: Generator, strength: float = 1.0) -> Tensor:
    """Noise of the sensor, fine or in grains of a few pixels, and the sharpening that follows it.

    Parameters
    ----------
    images : Tensor
        `(N, 3, H, W)` in [0, 1].
    noise : Tensor
        What `noise_bank(size)` gave, with `size` at least H and W.
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    strength : float, default 1.0
        At 1 the noise has a standard deviation of up to 0.06, in most images far less.

    Returns
    -------
    Tensor
        `(N, 3, H, W)` in [0, 1].
    """
    height, width = images.shape[2:]
    rows, columns = noise.shape[1] - height + 1, noise.shape[2] - width + 1
    corners = torch.rand((len(images), 2), generator=generator).tolist()
    fields = torch.stack(
        [noise[:, int(y * rows) :, int(x * columns) :][:, :height, :width] for y, x in corners]
    )
    grain = _draw(images, -1.0, 1.2, generator).clamp(min=0.05)
    fields = _blur(fields, grain) * (1 + 2.5 * grain.clamp(min=0.3) - 0.75)
    amount = 0.06 * strength * _draw(images, 0, 1, generator) ** 3
    images = images + amount * fields * (images.mean(1, keepdim=True) > 0.02)
    sharpening = _draw(images, -1.5 * strength, 1.5 * strength, generator).clamp(min=0)
    soft = _blur(images, torch.ones_like(sharpening))
    return (images + sharpening * (images - soft)).clamp(0, 1)


def tones(images: Tensor, generator: Generator, strength: float = 1.0) -> Tensor:
    """Contrast, gamma and colours; some images become grey, some of these from green alone.

    Parameters
    ----------
    images : Tensor
        `(N, 3, H, W)` in [0, 1].
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    strength : float, default 1.0
        Multiplies the largest changes: contrast and saturation by 0.4, gamma by a factor of
        1.5, each colour by a factor of 1.35.

    Returns
    -------
    Tensor
        `(N, 3, H, W)` in [0, 1].
    """

    def factor(largest: float, channels: int = 1) -> Tensor:
        bound = strength * math.log(largest)
        return _draw(images, -bound, bound, generator, channels).exp()

    grey = images.mean(1, keepdim=True)
    saturation = _draw(images, 1 - 0.6 * strength, 1 + 0.4 * strength, generator)
    images = (grey + saturation * (images - grey)).clamp(min=0)
    images = images * factor(1.35, 3) * factor(1.3)
    mean = images.mean((1, 2, 3), keepdim=True)
    lit = images.mean(1, keepdim=True) > 0.02  # the black around the field of view stays black
    contrast = _draw(images, 1 - 0.4 * strength, 1 + 0.4 * strength, generator)
    images = torch.where(lit, mean + contrast * (images - mean), images)
    images = images.clamp(1e-4, 1) ** factor(1.5)
    kind = _draw(images, 0, 1, generator)
    images = torch.where(kind < 0.06 * strength, images.mean(1, keepdim=True), images)
    return torch.where(kind > 1 - 0.06 * strength, images[:, 1:2], images)


def compression(images: Tensor, generator: Generator, strength: float = 1.0) -> Tensor:
    """Store half of the images as JPEG files, see `jpeg`.

    Parameters
    ----------
    images : Tensor
        `(N, 3, H, W)` in [0, 1]; H and W are multiples of 8.
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    strength : float, default 1.0
        At 1 the quality lies between 40 and 100.

    Returns
    -------
    Tensor
        `(N, 3, H, W)` in [0, 1].
    """
    quality = 100 - 60 * strength * _draw(images, 0, 1, generator)
    stored = _draw(images, 0, 1, generator) < 0.5
    return torch.where(stored, jpeg(images, quality), images)


def noise_bank(size: int, seed: int = 0) -> Tensor:
    """Normal random numbers that `sensor` takes its noise from.

    To draw new ones for each batch would take longer than the rest of the augmentation.

    Parameters
    ----------
    size : int
        Largest side of the images.
    seed : int, default 0
        The same seed gives the same numbers.

    Returns
    -------
    Tensor
        float32 `(3, 3 * size, 3 * size)`.

    Examples
    --------
    >>> noise_bank(16).shape
    torch.Size([3, 48, 48])
    """
    generator = Generator().manual_seed(seed)
    return torch.randn((3, 3 * size, 3 * size), generator=generator)


def _draw(
    images: Tensor, low: float, high: float, generator: Generator, channels: int = 1
) -> Tensor:
    """Uniform random numbers, new for each image, `(N, channels, 1, 1)` on its device."""
    values = torch.rand((len(images), channels, 1, 1), generator=generator)
    return (low + (high - low) * values).to(images.device, non_blocking=True)


def _smooth(images: Tensor, grid: int, generator: Generator) -> Tensor:
    """A smooth random field for each image, `(N, 1, H, W)`: few normal numbers, interpolated."""
    values = torch.randn((len(images), 1, grid, grid), generator=generator)
    values = values.to(images.device, non_blocking=True)
    return F.interpolate(values, size=images.shape[2:], mode="bicubic", align_corners=True)


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image by a Gaussian of its own width `sigma`, `(N, 1, 1, 1)`, in pixels."""
    n, channels, height, width = images.shape
    offsets = torch.arange(-4, 5, device=images.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma.view(n, 1) ** 2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    padded = F.pad(images, (4, 4, 4, 4), mode="reflect").reshape(1, n * channels, height + 8, -1)
    blurred = F.conv2d(padded, kernel[:, None, None, :], groups=n * channels)
    blurred = F.conv2d(blurred, kernel[:, None, :, None], groups=n * channels)
    return blurred.view(n, channels, height, width)
