"""Rules of numpy.fft"""
