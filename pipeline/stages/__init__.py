"""What does `dvc repro` run? The stages of dvc.yaml: one module and one public function each."""
