"""placeholder while images are being written"""
