"""A good classifier from doubtful labels, for those who want nothing else: `train`, and `predict` on new scans."""
