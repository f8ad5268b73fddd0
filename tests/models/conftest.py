import pytest

pytest.register_assert_rewrite("model_contract")
