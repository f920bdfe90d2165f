import type { ReactNode } from 'react';
import {
  Button, Dialog, Heading, ListBox, ListBoxItem, Menu, MenuItem, MenuTrigger, Modal, ModalOverlay, Popover, Select, SelectValue, SwitchButton, SwitchField,
  ToggleButton, ToggleButtonGroup,
} from 'react-aria-components';

// The component library, as the views use it. What it looks like is in styles.css.

export interface Choice {
  readonly id: string;
  readonly name: string;
}

export function Pick({ label, choices, value, onChange }: { label: string; choices: readonly Choice[]; value: string; onChange: (id: string) => void }) {
  return (
    <Select aria-label={label} value={value} onChange={(key) => onChange(String(key))} className="pick">
      <Button className="button">
        <SelectValue /> <span aria-hidden="true">▾</span>
      </Button>
      <Popover className="popover">
        <ListBox items={choices} className="menu">
          {(choice) => <ListBoxItem className="item" textValue={choice.name}>{choice.name}</ListBoxItem>}
        </ListBox>
      </Popover>
    </Select>
  );
}

export function Actions({ label, choices, onAction, disabled = false }: { label: string; choices: readonly Choice[]; onAction: (id: string) => void; disabled?: boolean }) {
  return (
    <MenuTrigger>
      <Button className="button" isDisabled={disabled}>
        {label} <span aria-hidden="true">▾</span>
      </Button>
      <Popover className="popover">
        <Menu items={choices} className="menu" onAction={(key) => onAction(String(key))}>
          {(choice) => <MenuItem className="item">{choice.name}</MenuItem>}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}

export function OneOf({ label, choices, value, onChange }: { label: string; choices: readonly Choice[]; value: string; onChange: (id: string) => void }) {
  return (
    <ToggleButtonGroup
      aria-label={label}
      className="oneof"
      disallowEmptySelection
      selectedKeys={[value]}
      onSelectionChange={(keys) => {
        const [key] = keys;
        if (key !== undefined) onChange(String(key));
      }}
    >
      {choices.map(({ id, name }) => (
        <ToggleButton key={id} id={id} className="button">
          {name}
        </ToggleButton>
      ))}
    </ToggleButtonGroup>
  );
}

export function Toggle({ label, on, onChange }: { label: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <SwitchField isSelected={on} onChange={onChange}>
      <SwitchButton className="switch">
        <span className="track" aria-hidden="true" />
        {label}
      </SwitchButton>
    </SwitchField>
  );
}

/** A sheet at the side, above everything else, that Escape closes. */
export function Sheet({ title, close, children }: { title: string; close: () => void; children: ReactNode }) {
  return (
    <ModalOverlay isOpen onOpenChange={(open) => !open && close()} isDismissable className="veil">
      <Modal className="sheet">
        <Dialog className="dialog">
          <header>
            <Heading slot="title">{title}</Heading>
            <Button className="button" onPress={close}>
              Close
            </Button>
          </header>
          {children}
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
