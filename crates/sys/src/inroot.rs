//! Files of the image, reached only below its root.
