"""Rules of numpy.linalg"""
