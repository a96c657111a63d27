"""Modules around networks: log-probabilities, a head on a backbone, one vector from many tokens."""

from typing import Literal, Self

import torch
from torch import Tensor, nn

from galeno.deep.network import Normalisation

PoolingMode = Literal["mean", "cls"]


class LogProbabilities(nn.Module):  # type: ignore[misc]
    """A network whose logits are turned into log-probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, classes)."""
        return torch.log_softmax(self.network(x), dim=1)


class GreyBackbone(nn.Module):  # type: ignore[misc]
    """A backbone that takes one channel, for images of three."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> Tensor:
        """The mean of red, green and blue goes in, as in `features.backbone`."""
        return self.backbone(x.mean(dim=1, keepdim=True))


class HeadedBackbone(nn.Module):  # type: ignore[misc]
    """A backbone, its features normalised, and a linear head; logits come out."""

    def __init__(self, backbone: nn.Module, scale: float, features: Normalisation, n_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.scale = scale
        self.features = features
        self.head = nn.Linear(features.mean.shape[1], n_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Pixels times `scale` go in."""
        return self.head(self.features(self.backbone(x * self.scale)))

    def train(self, mode: bool = True) -> Self:
        """The backbone stays as it answers: its running statistics came from far more images than ours."""
        super().train(mode)
        self.backbone.eval()
        return self


class SentenceNetwork(nn.Module):  # type: ignore[misc]
    """Token ids and mask, int64 (n, tokens), to vectors of length one, float32 (n, width)."""

    def __init__(self, encoder: nn.Module, pooling: PoolingMode) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Mean over the tokens that are not masked, or the first token, over its length."""
        hidden = self.encoder(input_ids=ids, attention_mask=mask, return_dict=False)[0]
        if self.pooling == "cls":
            vector = hidden[:, 0]
        else:
            weight = mask.unsqueeze(2).to(hidden.dtype)
            vector = (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1e-9)
        return vector / vector.norm(dim=1, keepdim=True).clamp(min=1e-12)
