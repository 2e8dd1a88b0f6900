"""The loops of Lightning and of the Hugging Face Trainer, as the documentation shows them; skipped where not there."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from flatrec.optim import BSAM, Mixed

RHO, LR, STEPS = 0.3, 0.1, 4


def data():
    inputs = torch.randn(4 * STEPS, 3, generator=torch.Generator().manual_seed(1))
    return inputs, inputs.sum(dim=1, keepdim=True).tanh()


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def values(model):
    return torch.cat([one.detach().flatten() for one in model.parameters()])


def by_hand(mixed=False):
    """The same steps in a loop of one's own."""
    model = network()
    optimizer = BSAM(torch.optim.SGD(model.parameters(), lr=LR), rho=RHO)
    optimizer = Mixed(optimizer) if mixed else optimizer
    inputs, targets = data()

    def closure_of(rows):
        def closure():
            optimizer.zero_grad()
            loss = (model(inputs[rows]) - targets[rows]).square().mean()
            loss.backward()
            return loss

        return closure

    for step in range(STEPS):
        rows = slice(4 * step, 4 * step + 4)
        optimizer.step(*[closure_of(rows)] * (2 if mixed else 1))
    return values(model)


def lightning_run(module, folder):
    lightning = pytest.importorskip("lightning", reason="Lightning is not installed")
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(module, DataLoader(TensorDataset(*data()), batch_size=4))
    return values(module.model)


@pytest.mark.filterwarnings("ignore")
def test_lightning_calls_the_closure_by_itself(tmp_path):
    lightning = pytest.importorskip("lightning", reason="Lightning is not installed")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = network()

        def training_step(self, batch):
            inputs, targets = batch
            return (self.model(inputs) - targets).square().mean()

        def configure_optimizers(self):
            return BSAM(torch.optim.SGD(self.parameters(), lr=LR), rho=RHO)

    assert torch.allclose(lightning_run(Module(), tmp_path), by_hand(), atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_lightning_mixes_with_manual_optimization(tmp_path):
    lightning = pytest.importorskip("lightning", reason="Lightning is not installed")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = network()
            self.automatic_optimization = False

        def closure_of(self, optimizer, batch):
            def closure():
                inputs, targets = batch
                optimizer.zero_grad()
                loss = (self.model(inputs) - targets).square().mean()
                self.manual_backward(loss)
                return loss

            return closure

        def training_step(self, batch):
            optimizer = self.optimizers(use_pl_optimizer=False)
            optimizer.step(self.closure_of(optimizer, batch), self.closure_of(optimizer, batch))

        def configure_optimizers(self):
            return Mixed(BSAM(torch.optim.SGD(self.parameters(), lr=LR), rho=RHO))

    assert torch.allclose(lightning_run(Module(), tmp_path), by_hand(mixed=True), atol=1e-6)


class Rows(Dataset):
    """Rows as the Trainer wants them."""

    def __len__(self):
        return 4 * STEPS

    def __getitem__(self, row):
        inputs, targets = data()
        return {"inputs": inputs[row], "labels": targets[row]}


class WithLoss(nn.Module):
    """A model that returns its loss, as the Trainer wants it."""

    def __init__(self):
        super().__init__()
        self.model = network()

    def forward(self, inputs, labels):
        return {"loss": (self.model(inputs) - labels).square().mean()}


@pytest.mark.filterwarnings("ignore")
def test_the_hugging_face_trainer_needs_a_training_step_with_both_passes(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    from flatrec.optim import StrategyOptimizer

    class Deferred(torch.optim.Optimizer):
        """Steps where the Trainer would, with the closure of the training step before."""

        def __init__(self, optimizer: StrategyOptimizer):
            super().__init__(optimizer.param_groups, optimizer.defaults)
            self.optimizer, self.param_groups, self.closure = optimizer, optimizer.param_groups, None

        def step(self, _closure=None):
            return self.optimizer.step(self.closure)

    class Trainer(transformers.Trainer):
        def training_step(self, model, inputs, num_items_in_batch=None):
            def closure():
                model.zero_grad()
                return transformers.Trainer.training_step(self, model, inputs, num_items_in_batch)

            deferred.closure = closure
            return closure().detach()

        def get_train_dataloader(self):
            return DataLoader(Rows(), batch_size=4)

    model = WithLoss()
    deferred = Deferred(BSAM(torch.optim.SGD(model.parameters(), lr=LR), rho=RHO))
    schedule = torch.optim.lr_scheduler.LambdaLR(deferred, lambda _step: 1.0)
    settings = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        num_train_epochs=1,
        per_device_train_batch_size=4,
        max_grad_norm=0,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    Trainer(model, settings, train_dataset=Rows(), optimizers=(deferred, schedule)).train()
    assert torch.allclose(values(model.model), by_hand(), atol=1e-6)


def test_the_loop_of_one_s_own_moves():
    assert not torch.allclose(by_hand(), values(network()), atol=1e-2)
