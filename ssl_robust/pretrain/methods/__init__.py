"""One file per self-supervised method; `configs/method/` names them."""
