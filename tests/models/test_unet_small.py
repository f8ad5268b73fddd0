"""UNetSmall: the contract, and the compiler that needs a C++ toolchain."""

import torch
from model_contract import ModelContract


class TestUNetSmall(ModelContract):
    name, onnx_optimize = "unet_small", True
    table, table_size = "unet_small_3x128x128", (1, 3, 128, 128)
    table_options = {"num_classes": 32}
    counts = [({"num_classes": 2}, 63_462), ({}, 63_445)]
    joins = [("upconv3", "dec3"), ("upconv2", "dec2"), ("upconv1", "dec1")]

    def test_the_real_compiler_agrees(self, model, x):
        with torch.no_grad():
            compiled = torch.compile(model)(x)
            torch.testing.assert_close(compiled, model(x), atol=1e-4, rtol=1e-3)
