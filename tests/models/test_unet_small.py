"""UNetSmall: the contract."""

from model_contract import ModelContract


class TestUNetSmall(ModelContract):
    name = "unet_small"
    table, table_size = "unet_small_3x128x128", (1, 3, 128, 128)
    table_options = {"num_classes": 32}
    counts = [({"num_classes": 2}, 63_462), ({}, 63_445)]
    joins = [("upconv3", "dec3"), ("upconv2", "dec2"), ("upconv1", "dec1")]
