"""From decoded arrays to training batches: subsets, augmentation, mixup and CutMix, the copy to the device."""
