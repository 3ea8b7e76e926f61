# SPDX-License-Identifier: MIT
"""The networks that train.py trains, and their way into ONNX files.

All of them map luma in 0..1, (N, 1, H, W), to luma of twice the size and begin
as exact bicubic interpolation, so that training is only asked for what bicubic
lacks. Nothing here reads clips or knows how the networks are trained.
"""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


SLOPE = 0.1  # of negative features: plain ReLUs died by the dozen, and took whole layers with them
TAIL = 0.05  # scale of the last layer while training
SKIP = 0.1   # and of the kernel beside the network


def cubic(x, a=-0.5):
    """Keys, Cubic convolution interpolation (1981), equation 4."""
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def linear(x):
    return max(0.0, 1 - abs(x))


def spline(x):
    """The quadratic B-spline: smooths more than it interpolates."""
    x = abs(x)
    return 0.75 - x**2 if x < 0.5 else 0.5 * max(0.0, 1.5 - x)**2


def ffmpeg_cubic(x):
    """What ffmpeg's scaler calls bicubic."""
    return cubic(x, -0.6)


def kernels(of=cubic):
    """(4, 1, 5, 5): one kernel per output phase, in DepthToSpace's order."""
    taps = [np.array([of(k - 2 - centre) for k in range(5)]) for centre in (-0.25, 0.25)]
    planes = [np.outer(taps[y], taps[x]) for y in range(2) for x in range(2)]
    return torch.tensor(np.stack(planes), dtype=torch.float32).reshape(4, 1, 5, 5)


def mirrored(triangle):
    """(4, 1, 5, 5) of the 15 numbers that say all of a kernel that is as its transpose: those of the first output
    phase, of its right upper triangle row by row; the other phases mirror it."""
    plane = torch.zeros(5, 5)
    for value, (y, x) in zip(triangle, ((y, x) for y in range(5) for x in range(y, 5))):
        plane[y, x] = plane[x, y] = float(value)
    return torch.stack([plane, plane.flip(1), plane.flip(0), plane.flip(0, 1)])[:, None]


def apply(x, weight):
    """x at twice its size, by one kernel per output phase."""
    return F.pixel_shuffle(F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), weight), 2)


def bicubic(x):
    return apply(x, kernels())


class Upscaler(nn.Module):
    """A residual CNN that works at half the input's size on twice the channels.

    The same arithmetic as at full size on half the channels, but each layer
    sees twice as far, which is what compressed video needs.
    """

    def __init__(self, channels, hidden):
        super().__init__()
        self.skip = nn.Parameter(torch.zeros(4, 1, 5, 5))
        self.head = nn.Conv2d(1, channels, 6, stride=2)
        self.body = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(hidden))
        self.tail = nn.Conv2d(channels, 16, 3, padding=1)
        self.calm = self.calmer = self.calm_shift = 0.0  # see settle()
        for layer in [self.head, *self.body, self.tail]:
            nn.init.kaiming_normal_(layer.weight, SLOPE)
            nn.init.zeros_(layer.bias)

    def skip_weight(self):
        """Learnt around bicubic; sums to 1, so that brightness stays."""
        return kernels() + SKIP * (self.skip - self.skip.mean((1, 2, 3), keepdim=True))

    def head_weight(self):
        """Sums to nothing: detail, not brightness, is what there is to say."""
        return self.head.weight - self.head.weight.mean((1, 2, 3), keepdim=True)

    def tail_weight(self):
        """Small, so that the first steps do not shout bicubic down and kill the features that they come from."""
        return TAIL * self.tail.weight, TAIL * self.tail.bias

    def forward(self, x):
        edge = F.pad(x, (2, 2, 2, 2), mode="replicate")
        y = F.leaky_relu(F.conv2d(edge, self.head_weight(), self.head.bias, stride=2), SLOPE)
        for layer in self.body:
            y = F.leaky_relu(layer(y), SLOPE)
        weight, bias = self.tail_weight()
        y = F.conv2d(y, weight, bias, padding=1)
        sharp = F.pixel_shuffle(y, 4) + F.pixel_shuffle(F.conv2d(edge, self.skip_weight()), 2)
        if not self.calm:
            return sharp
        calm = F.pixel_shuffle(F.conv2d(edge, self.calm_weight()), 2) + self.calm_shift
        return sharp + torch.clamp(calm - sharp, -self.calm, self.calm)

    def calm_weight(self):
        return self.calmer * kernels(spline) + (1 - self.calmer) * kernels(ffmpeg_cubic)

    def hush(self):
        """Takes out of the last bias what the network says of flat pictures."""
        flat = torch.full((1, 1, 64, 64), 0.5)
        with torch.no_grad():
            self.tail.bias -= F.pixel_unshuffle(self(flat) - 0.5, 4)[0, :, 16, 16] / TAIL  # far from the border

    def settle(self, numbers):
        """What is done once all is learnt (settle.py says why). Of what is learnt beside ffmpeg's bicubic, `keep` is
        kept; a kernel and a shift are added; and the result goes by at most `calm` towards bicubic mixed with the
        spline, `calmer` of it. Steps of 8 bits."""
        self.hush()
        with torch.no_grad():
            for value in (self.skip, self.tail.weight, self.tail.bias):
                value *= numbers["keep"]
            base = (1 - numbers["keep"]) * (kernels(ffmpeg_cubic) - kernels())
            self.skip += (base + mirrored(numbers["kernel"])) / SKIP
            self.tail.bias += numbers["shift"] / 219 / TAIL
        self.calm, self.calmer = numbers["calm"] / 219, numbers["calmer"]
        self.calm_shift = numbers["calm shift"] / 219

    def flops(self):
        """Per input pixel; a multiply-add counts as two."""
        half = [self.head, *self.body, self.tail]
        return 4 * self.skip.numel() + sum(2 * m.weight.numel() for m in half) // 4


class Fsrcnn(nn.Module):
    """FSRCNN(56, 12, 4) for 2x: Dong, Loy, Tang, Accelerating the
    Super-Resolution Convolutional Neural Network (2016), section 3. Here it
    adds to bicubic, which it does not in the paper, so that it starts as well
    as the others do. Only a yardstick: it is not exported."""

    def __init__(self, d=56, s=12, m=4):
        super().__init__()
        layers = [nn.Conv2d(1, d, 5, padding=2), nn.PReLU(d), nn.Conv2d(d, s, 1), nn.PReLU(s)]
        for _ in range(m):
            layers += [nn.Conv2d(s, s, 3, padding=1), nn.PReLU(s)]
        layers += [nn.Conv2d(s, d, 1), nn.PReLU(d)]
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        self.layers = nn.Sequential(*layers)
        # the paper's deconvolution of 9x9 and stride 2, as the four kernels that it consists of
        self.up = nn.Conv2d(d, 4, 5, padding=2)
        nn.init.normal_(self.up.weight, std=0.001)
        nn.init.zeros_(self.up.bias)

    def forward(self, x):
        return F.pixel_shuffle(self.up(self.layers(x)), 2) + bicubic(x)

    def flops(self):
        """Per input pixel, with the deconvolution's own 9x9."""
        convs = sum(m.weight.numel() for m in self.layers if isinstance(m, nn.Conv2d))
        return 2 * (convs + 81 * self.up.in_channels)


NETS = {
    "base": lambda: Upscaler(32, 4),
    "fast": lambda: Upscaler(16, 3),
    "fsrcnn": Fsrcnn,
}
