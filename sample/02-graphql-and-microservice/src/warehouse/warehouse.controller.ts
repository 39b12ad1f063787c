import { Controller, Inject } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload, type ClientProxy } from '@nestjs/microservices';
import { Cacheable, CacheEvict } from 'nestjs-scoped-cache';
import { firstValueFrom } from 'rxjs';
import { Database } from '../database.js';
import { WAREHOUSE, type StockChanged } from './warehouse.js';

@Controller()
export class WarehouseController {
  constructor(
    private readonly database: Database,
    @Inject(WAREHOUSE) private readonly self: ClientProxy,
  ) {}

  /** Without `key`, the payload of the message is the key: the book's id. */
  @MessagePattern('stock')
  @Cacheable({ name: 'stock', scope: 'global' })
  stock(@Payload() bookId: string): Promise<number> {
    return this.database.stock(bookId);
  }

  @MessagePattern('take')
  async take(@Payload() bookId: string): Promise<boolean> {
    if (this.database.take(bookId) === undefined) return false;
    const event: StockChanged = { bookId };
    await firstValueFrom(this.self.emit('stock-changed', event), { defaultValue: undefined });
    return true;
  }

  /** Whoever changes the stock sends this event; whoever caches stock evicts on it. */
  @EventPattern('stock-changed')
  @CacheEvict({ name: 'stock', scope: 'global', key: '{data.bookId}' })
  stockChanged(@Payload() _event: StockChanged): void {}
}
