"""The stages of dvc.yaml: one module each, one public function each."""
